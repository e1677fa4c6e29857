// The golden vectors of the login text (EIP-4361), made by viem alone: text, digest (EIP-191), signature.
// Run by `test/vectors/generate`; equal input gives equal bytes.
//
// usage: node generate-login.mjs OUTPUT

import { writeFileSync } from 'node:fs';
import { hashMessage, keccak256, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { createSiweMessage, parseSiweMessage, validateSiweMessage } from 'viem/siwe';

const STATEMENT = 'Sign in to Node System. This moves nothing and costs nothing.';

// Site, chain, nonce, when it was written, when it ends.
const cases = [
  ['https://nodes.example.org', 1, '0123456789abcdef', 1767225600, 1767226200],
  ['https://nodes.example.org:8443', 11155111, 'a'.repeat(48), 4102444799, 4102445399],
  ['http://localhost:8080', 31337, '00000000', 0, 600],
];

const vectors = await Promise.all(cases.map(async ([site, chainId, nonce, issued, until], index) => {
  const privateKey = keccak256(toHex(`nodesys login vector ${index}`));
  const signer = privateKeyToAccount(privateKey);
  const domain = new URL(site).host;
  const written = createSiweMessage({
    domain, address: signer.address, statement: STATEMENT, uri: site, version: '1', chainId, nonce,
    issuedAt: new Date(issued * 1000), expirationTime: new Date(until * 1000),
  });
  // viem writes milliseconds; the standard takes any RFC 3339 time, and ours has whole seconds.
  const message = written.replaceAll('.000Z', 'Z');
  const parsed = parseSiweMessage(message);
  const valid = validateSiweMessage({
    address: signer.address, domain, message: parsed, nonce, time: new Date(issued * 1000),
  });
  if (!valid || parsed.uri !== site || parsed.chainId !== chainId) throw new Error(`viem refuses ${message}`);
  return {
    site, chainId, nonce, issuedSecs: issued, untilSecs: until, message, digest: hashMessage(message), privateKey,
    account: signer.address.toLowerCase(), signature: await signer.signMessage({ message }),
  };
}));

const about = 'Made by viem alone: see README.md. The private keys are known to everyone.';
writeFileSync(process.argv[2], `${JSON.stringify({ about, vectors }, null, 2)}\n`);
