// The golden vectors of webhook signatures (Standard Webhooks), made by Node's own crypto.
// Run by `test/vectors/generate`; equal input gives equal bytes.
//
// usage: node generate-webhooks.mjs OUTPUT

import { createHash, createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';

const derived = (text) => createHash('sha256').update(`nodesys webhook vector ${text}`).digest();

const cases = [
  ['shortest secret', derived('a').subarray(0, 24), 'msg_1', 1767225600, '{}'],
  ['a notice', derived('b'), 'msg_31_1', 1767225660,
    '{"type":"node.down","timestamp":"2026-01-01T00:01:00Z","data":{}}'],
  ['longest secret, a body that is no ASCII', Buffer.concat([derived('c'), derived('d')]), 'msg_z', 0,
    'T\u00fcr und Tor'],
  ['empty body', derived('e'), 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, ''],
];

const vectors = cases.map(([name, secret, id, timestamp, body]) => ({
  name,
  secret: `whsec_${secret.toString('base64')}`,
  id,
  timestamp: `${timestamp}`,
  body,
  signature: `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
}));

const about = "Made by Node's crypto alone: see README.md. Numbers are decimal strings.";
writeFileSync(process.argv[2], `${JSON.stringify({ about, vectors }, null, 2)}\n`);
