//! Logins: whose signature begins one, how often, and how it ends.

use alloy::primitives::{B256, Bytes, keccak256};
use alloy::providers::Provider as _;
use alloy::sol_types::SolValue as _;
use nodesys_chain::MULTICALL3;
use nodesys_chain::bindings::Multicall3;
use nodesys_chain::deterministic::DEPLOYMENT_PROXY;
use nodesys_core::Address;
use nodesys_core::login::LoginView;
use nodesys_core::signature::WalletSignature;
use nodesys_core::time::Timestamp;
use nodesys_testing::chain::{alice, bob};
use nodesys_testing::key;
use reqwest::Method;
use serde_json::Value;
use sqlx::PgPool;

use super::support::browser::{Browser, personal_sign};
use super::support::wire::Line;
use super::support::{SITE, World};
use crate::ended::DropEnded;
use crate::login::MOST_LOGINS;
use crate::periodic::Periodic as _;

const HOURS_12: u64 = 12 * 3_600_000;

async fn logins(browser: &mut Browser) -> Vec<LoginView> {
    browser.get("/v1/logins").await
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_wallet_signs_in_and_out(pool: PgPool) {
    let world = World::new(pool).await;
    let mut browser = Browser::at(&world.replica.base);
    let text = browser.text(alice().address()).await;
    // Of the configured address, whatever the request says of its host.
    assert!(text.message.starts_with("nodes.example.org wants you to sign in"), "{}", text.message);
    assert!(text.message.contains(&format!("\nURI: {SITE}\n")), "{}", text.message);
    let signature = personal_sign(&alice(), &text.message);
    let answer = browser.hand_in(alice().address(), &text.nonce, signature).await;
    let login: LoginView = answer.read();
    assert_eq!((login.account, login.current), (alice().address(), true));
    assert_eq!(login.until_millis - login.begun_millis, HOURS_12);
    // What drives a terminal is not kept.
    assert_eq!(login.program, "Test\u{fffd}Browser 1");
    assert_eq!(browser.get::<LoginView>("/v1/login").await, login);

    // The cookie's secret is in no row.
    let secret = browser.cookie.clone().unwrap();
    let secret = secret.split_once('=').unwrap().1;
    let rows = world.rows().await;
    assert!(rows["login"].lines().count() == 1 && !rows["login"].contains(secret));

    let mut phone = Browser::of(&world, &alice()).await;
    let listed = logins(&mut browser).await;
    assert_eq!(listed.iter().map(|login| login.current).collect::<Vec<_>>(), [false, true]);
    // Another replica knows it, and one login ends the other.
    let replica = world.another().await;
    let mut there = Browser { cookie: browser.cookie.clone(), ..Browser::at(&replica.base) };
    let route = format!("/v1/logins/{}", listed[0].login);
    for _ in 0..2 {
        let left: Vec<LoginView> = there.ask(Method::DELETE, &route, &Value::Null).await.read();
        assert_eq!(left, listed[1..]);
    }
    let ended = phone.ask(Method::GET, "/v1/login", &Value::Null).await.problem();
    assert_eq!((ended.status, ended.code.as_str()), (401, "not_signed_in"));

    let stolen = browser.clone();
    let left: Vec<LoginView> = browser.ask(Method::DELETE, "/v1/login", &Value::Null).await.read();
    assert!(left.is_empty() && browser.cookie.is_none());
    let answer = stolen.clone().ask(Method::GET, "/v1/login", &Value::Null).await;
    assert_eq!(answer.problem().code, "not_signed_in");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_text_begins_one_login_of_its_account_for_ten_minutes(pool: PgPool) {
    let world = World::new(pool).await;
    let replica = world.another().await;
    let mut browser = Browser::at(&world.replica.base);
    let mut elsewhere = Browser::at(&replica.base);
    let (account, other) = (alice().address(), bob().address());
    let text = browser.text(account).await;
    let good = personal_sign(&alice(), &text.message);
    let before = world.rows().await;
    let long = text.message.replace("This moves nothing", "That moves nothing");
    for (account, nonce, signature, code) in [
        (account, text.nonce.clone(), personal_sign(&bob(), &text.message), "bad_signature"),
        (account, text.nonce.clone(), personal_sign(&alice(), &long), "bad_signature"),
        (
            account,
            text.nonce.clone(),
            alice().sign(keccak256(&text.message)).into(),
            "bad_signature",
        ),
        (other, text.nonce.clone(), personal_sign(&bob(), &text.message), "bad_request"),
        (account, text.nonce.to_uppercase(), good.clone(), "bad_request"),
        (account, "0".repeat(48), good.clone(), "bad_request"),
        (account, String::new(), good.clone(), "bad_request"),
    ] {
        let answer = browser.hand_in(account, &nonce, signature).await;
        assert_eq!(answer.problem().code, code, "{answer:?}");
    }
    assert_eq!(world.rows().await, before, "a refused login changed the database");
    assert!(browser.cookie.is_none());

    assert_eq!(elsewhere.hand_in(account, &text.nonce, good.clone()).await.status, 200);
    // Whoever has read it cannot use it, not even once its login has ended.
    elsewhere.ask(Method::DELETE, "/v1/login", &Value::Null).await;
    let again = browser.hand_in(account, &text.nonce, good).await.problem();
    assert_eq!((again.status, again.code.as_str()), (409, "login_text_used"));

    let text = browser.text(account).await;
    world.go(Timestamp::from_millis(text.until_millis)).await;
    let late = personal_sign(&alice(), &text.message);
    let answer = browser.hand_in(account, &text.nonce, late).await.problem();
    assert_eq!((answer.status, answer.code.as_str()), (403, "login_text_old"));
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn logins_have_an_end_and_a_bound(pool: PgPool) {
    let world = World::new(pool).await;
    let mut first = Browser::of(&world, &alice()).await;
    let mut bobs = Browser::of(&world, &bob()).await;
    let mut newest = first.clone();
    for number in 1..=MOST_LOGINS {
        // Ten at once, and then ten a minute.
        world.go_without_chain(world.now().plus_millis(10_000)).await;
        newest = Browser::of(&world, &alice()).await;
        let most = usize::try_from((number + 1).min(MOST_LOGINS)).unwrap();
        assert_eq!(logins(&mut newest).await.len(), most);
    }
    // The oldest made room.
    let answer = first.ask(Method::GET, "/v1/login", &Value::Null).await;
    assert_eq!(answer.problem().code, "not_signed_in");
    assert_eq!(logins(&mut bobs).await.len(), 1);
    // A browser that signs in again replaces its login.
    let before = logins(&mut newest).await;
    world.go_without_chain(world.now().plus_millis(10_000)).await;
    newest.sign_in(&alice()).await.unwrap();
    let after = logins(&mut newest).await;
    assert_eq!(after.len(), before.len());
    assert_eq!(after[1..], before[1..]);

    let last = Timestamp::from_millis(logins(&mut newest).await[0].until_millis);
    world.go_without_chain(Timestamp::from_millis(last.millis() - 1)).await;
    assert_eq!(logins(&mut newest).await.len(), 1);
    world.go_without_chain(last).await;
    let answer = newest.ask(Method::GET, "/v1/login", &Value::Null).await;
    assert_eq!(answer.problem().code, "not_signed_in");
    let rows = world.rows().await;
    assert!(!rows["login"].is_empty() && !rows["login_nonce"].is_empty());
    DropEnded::new(world.replica.app.clone()).tick().await.unwrap();
    let rows = world.rows().await;
    assert!(rows["login"].is_empty() && rows["login_nonce"].is_empty(), "{rows:?}");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn an_account_cannot_be_signed_in_without_end(pool: PgPool) {
    let world = World::new(pool).await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let mut browser = Browser::at(&world.replica.base);
        let begun = browser.sign_in(&alice()).await;
        statuses.push(begun.map_or_else(|refused| refused.status, |_| 200));
    }
    assert_eq!(statuses[..10], [200; 10]);
    assert_eq!(statuses[10..], [429; 2]);
    Browser::of(&world, &bob()).await;
}

/// `isValidSignature` of code that answers all calls alike.
fn answers(word: &str) -> Vec<u8> {
    let mut code = vec![0x7f];
    code.extend_from_slice(&B256::right_padding_from(word.as_bytes())[..]);
    code.extend_from_slice(&[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    code
}

const ACCEPTS: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

#[sqlx::test(migrations = "../../migrations/backend")]
async fn contract_wallets_sign_in_as_they_pair(pool: PgPool) {
    let world = World::new(pool).await;
    let set_code = async |account: Address, code: &[u8]| {
        let params = (account, Bytes::copy_from_slice(code));
        let rpc = world.chain.provider.rpc().client();
        rpc.request::<_, ()>("anvil_setCode", params).await.unwrap();
    };
    let mut accepting = answers("");
    accepting[1..5].copy_from_slice(&ACCEPTS);
    let (safe, refusing) = (Address::repeat_byte(0xa1), Address::repeat_byte(0xa2));
    set_code(MULTICALL3, &Multicall3::DEPLOYED_BYTECODE).await;
    set_code(safe, &accepting).await;
    set_code(refusing, &answers("no")).await;
    // A key whose account delegates to code that refuses all (EIP-7702) still signs for it.
    let delegating = key(71);
    set_code(delegating.address(), &[&[0xef, 0x01, 0x00][..], refusing.as_slice()].concat()).await;
    // A wallet that its factory has yet to deploy (ERC-6492): PUSH1 length, DUP1, PUSH1 9, PUSH0, CODECOPY,
    // PUSH0, RETURN create the code behind them.
    let length = u8::try_from(accepting.len()).unwrap();
    let creating =
        [&[0x60, length, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3][..], &accepting].concat();
    let future = DEPLOYMENT_PROXY.create2(B256::ZERO, keccak256(&creating));
    let deployment = Bytes::from([B256::ZERO.as_slice(), &creating].concat());
    let parts = (DEPLOYMENT_PROXY, deployment, Bytes::from_static(b"inner")).abi_encode_params();
    let undeployed = [parts, [0x64, 0x92].repeat(16)].concat();

    let any = |bytes: &[u8]| WalletSignature::new(Bytes::copy_from_slice(bytes)).unwrap();
    let mut browser = Browser::at(&world.replica.base);
    for (account, signature, expected) in [
        (safe, any(b"its own bytes"), 200),
        (refusing, any(b"its own bytes"), 401),
        (future, any(&undeployed), 200),
        (future, any(b"its own bytes"), 401),
    ] {
        let text = browser.text(account).await;
        let answer = browser.hand_in(account, &text.nonce, signature).await;
        assert_eq!(answer.status, expected, "{account}: {answer:?}");
    }
    browser.sign_in(&delegating).await.unwrap();

    // Nobody is told that a signature is bad because the chain could not be asked.
    let text = browser.text(safe).await;
    world.wire.lay(Line::Cut);
    let answer = browser.hand_in(safe, &text.nonce, any(b"its own bytes")).await.problem();
    assert_eq!((answer.status, answer.code.as_str()), (503, "chain_unavailable"));
    world.wire.lay(Line::To(world.chain.anvil.addr));
    let answer = browser.hand_in(safe, &text.nonce, any(b"its own bytes")).await;
    assert_eq!(answer.status, 200, "the text was used up by an outage: {answer:?}");
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn without_a_public_address_nobody_signs_in(pool: PgPool) {
    let world = World::new(pool).await;
    let browser = Browser::of(&world, &alice()).await;
    let replica = world.without_login().await;
    let mut there = Browser { cookie: browser.cookie, ..Browser::at(&replica.base) };
    for (method, route) in [
        (Method::POST, "/v1/login/messages"),
        (Method::POST, "/v1/login"),
        (Method::GET, "/v1/login"),
        (Method::GET, "/v1/logins"),
    ] {
        let answer = there.ask(method, route, &Value::Null).await.problem();
        assert_eq!((answer.status, answer.code.as_str()), (404, "login_off"), "{route}");
        assert!(answer.detail.contains("--public-url"), "{answer:?}");
    }
}
