/** What the package calls of the contracts is what they have, by name. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Abi, encodeEventTopics, toEventSignature, toFunctionSignature } from 'viem';
import { formatAbiItem } from 'viem/utils';

import { distributorAbi, licenseAbi, registryAbi } from '../src/index.js';
import { artifact } from './support/devnet.js';

const shape = (parameters: readonly { type: string; components?: unknown }[]): unknown =>
  parameters.map(({ type, components }) => [type, components ? shape(components as { type: string }[]) : []]);

for (const [contract, abi] of [
  ['RewardDistributor', distributorAbi], ['ProjectRegistry', registryAbi], ['NodeLicense', licenseAbi],
] as [string, Abi][]) {
  test(`${contract} has each item with these parameters and results`, () => {
    const theirs = artifact(contract).abi;
    for (const item of abi) {
      assert.ok('name' in item && 'inputs' in item);
      const found = theirs.find((one) => 'name' in one && one.name === item.name && one.type === item.type);
      assert.ok(found && 'inputs' in found, `${contract} has no ${item.type} ${item.name}`);
      assert.deepEqual(shape(item.inputs as never), shape(found.inputs as never), item.name);
      if (item.type === 'event') {
        const indexed = (inputs: readonly unknown[]) => inputs.map((one) => (one as { indexed?: boolean }).indexed === true);
        assert.deepEqual(indexed(item.inputs), indexed(found.inputs), item.name);
        assert.equal(toEventSignature(item), toEventSignature(found as typeof item));
        assert.ok(encodeEventTopics({ abi: [item], eventName: item.name })[0]);
      }
      if (item.type === 'function') {
        assert.ok(found.type === 'function');
        assert.deepEqual(shape(item.outputs as never), shape(found.outputs as never), item.name);
        assert.equal(toFunctionSignature(item), toFunctionSignature(found));
        const names = (outputs: readonly { name?: string }[]) => outputs.map((one) => one.name).filter(Boolean);
        // Struct members are read by their names.
        const members = (one: typeof item) => one.outputs.flatMap((output) => names((output as { components?: [] }).components ?? []));
        assert.deepEqual(members(item), members(found), formatAbiItem(item));
      }
    }
  });
}
