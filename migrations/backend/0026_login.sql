-- Logins of people: a wallet's signature under a text of ours begins one, its secret is in a cookie.

create table login_nonce (
    nonce       bytea primary key constraint login_nonce_size check (octet_length(nonce) = 24),
    until_at    millis not null
);
comment on table login_nonce is 'Nonces of login texts that were signed, so that none is taken twice; each is dropped once its text can no longer be used.';
comment on column login_nonce.nonce is 'The nonce.';
comment on column login_nonce.until_at is 'When its text can no longer be used.';
create index login_nonce_until on login_nonce (until_at);

create table login (
    id          bigint generated always as identity primary key,
    token_hash  hash not null constraint login_token_unique unique,
    account     address not null,
    program     text not null constraint login_program check (octet_length(program) <= 800),
    begun_at    millis not null,
    until_at    millis not null,
    constraint login_order check (until_at > begun_at)
);
comment on table login is 'Logins of people; an account has at most sixteen, and each is dropped when it ends.';
comment on column login.id is 'Number of the login.';
comment on column login.token_hash is 'SHA-256 of the cookie''s secret: whoever reads the table cannot sign in by it.';
comment on column login.account is 'Who signed in.';
comment on column login.program is 'What the browser said of itself.';
comment on column login.begun_at is 'When it began.';
comment on column login.until_at is 'When it ends by itself.';
create index login_account on login (account, id);
create index login_until on login (until_at);
