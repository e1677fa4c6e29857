/** Statements for the network's Postgres by its own protocol: for rows that no program makes here. */

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** A message: its kind, where it has one, its length, and its body. */
function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(kind, 'latin1'), head, body]);
}

/** The messages of Postgres, one after the other. */
async function* answers(socket: Socket): AsyncGenerator<{ kind: string; body: Buffer }, void> {
  let waiting = Buffer.alloc(0);
  for await (const part of socket) {
    waiting = Buffer.concat([waiting, part as Buffer]);
    while (waiting.length >= 5 && waiting.length > waiting.readInt32BE(1)) {
      const size = waiting.readInt32BE(1) + 1;
      yield { kind: String.fromCharCode(waiting[0] ?? 0), body: waiting.subarray(5, size) };
      waiting = waiting.subarray(size);
    }
  }
}

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** SCRAM-SHA-256 (RFC 7677): the answer to the server's first message. */
function proof(password: string, first: string, theirs: string): string {
  const { r, s, i } = Object.fromEntries(theirs.split(',').map((one) => [one.slice(0, 1), one.slice(2)])) as Record<'r' | 's' | 'i', string>;
  const salted = pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256');
  const key = hmac(salted, 'Client Key');
  const last = `c=biws,r=${r}`;
  const signature = hmac(createHash('sha256').update(key).digest(), `${first},${theirs},${last}`);
  return `${last},p=${Buffer.from(key.map((byte, at) => byte ^ (signature[at] ?? 0))).toString('base64')}`;
}

/** Carries them out one after the other; a refusal is thrown. */
export async function execute(url: string, ...statements: string[]): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  const first = `n=,r=${randomBytes(18).toString('base64')}`;
  const left = [...statements];
  try {
    socket.write(message('', Buffer.from(`\0\x03\0\0user\0${username}\0database\0${pathname.slice(1)}\0\0`, 'latin1')));
    for await (const { kind, body } of answers(socket)) {
      if (kind === 'E') throw new Error(body.toString().replaceAll('\0', ' '));
      if (kind === 'R' && body.readInt32BE() === 10) {
        const length = Buffer.alloc(4);
        length.writeInt32BE(first.length + 3);
        socket.write(message('p', Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), length, Buffer.from(`n,,${first}`)])));
      }
      if (kind === 'R' && body.readInt32BE() === 11) socket.write(message('p', Buffer.from(proof(password, first, body.subarray(4).toString()))));
      if (kind === 'Z') {
        const next = left.shift();
        if (next === undefined) return;
        socket.write(message('Q', Buffer.from(`${next}\0`)));
      }
    }
    throw new Error('Postgres has hung up');
  } finally {
    socket.destroy();
  }
}
