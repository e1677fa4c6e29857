import assert from 'node:assert/strict';
import { test } from 'node:test';

import { getAddress, keccak256 as viemKeccak } from 'viem';

import { licenseHash as sdkHash } from '../../sdk-ts/src/messages.js';
import type { Address } from '../../sdk-ts/src/parse.js';
import { checksummed, keccak256, licenseHash } from '../src/lib/keccak.js';

test('checksums and hashes are those of viem and the SDK', () => {
  for (let i = 0; i < 200; i += 1) {
    const address = viemKeccak(`0x${i.toString(16).padStart(4, '0')}`).slice(0, 42) as Address;
    assert.equal(checksummed(address), getAddress(address));
    const token = BigInt(viemKeccak(address));
    assert.equal(licenseHash(31337n, address, token), sdkHash(31337n, address, token));
  }
  assert.equal(keccak256(new TextEncoder().encode('node')), viemKeccak(new TextEncoder().encode('node')));
});
