/** Days that the Rust programs made hold here too; each altered file and each altered field is found. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  type DayFacts, digest, domainOf, type Hash, keccak256, known, type Place, Places, signerOf, structHash,
  unknown, verifyDay, REWARDS, RewardTree, parseTable,
} from '../src/index.js';
import { canonicalJson } from '../src/formats/json.js';
import { before, bundleOf, DAY_2, DAYS, factsOf, type Files, filesOf, placeOf, places, postedOf, signedCommit, TABLES }
  from './support/fixture.js';

const SECOND = DAYS[1] as string;

async function verify(day: string, files: Files, change: (facts: DayFacts) => Partial<DayFacts> = () => ({}), posted = postedOf(day)) {
  const facts = factsOf(posted, bundleOf(day), filesOf(day));
  return verifyDay({ ...facts, ...change(facts) }, places(day, files), known(before(day)));
}

test('every day holds, check by check, and leads to the next', async () => {
  for (const day of [...DAYS, DAY_2]) {
    const outcome = await verify(day, filesOf(day));
    assert.deepEqual([outcome.findings, outcome.doubts, outcome.passedOver], [[], [], []], day);
    assert.ok(outcome.report.checks.every((check) => check.verdict === 'holds'), JSON.stringify(outcome.report.checks));
    assert.equal(outcome.report.licenses, day === DAY_2 ? 4 : 3);
    const next = day === DAY_2 ? undefined : DAYS[DAYS.indexOf(day) + 1];
    if (next !== undefined) assert.deepEqual(outcome.after, before(next));
  }
});

test('tree.json and commit.json follow from the day', async () => {
  const signers = new Set<string | undefined>();
  for (const day of DAYS) {
    const files = filesOf(day);
    const tree = await RewardTree.build(parseTable(REWARDS, files.get('rewards.csv') as Uint8Array));
    assert.equal(JSON.stringify(tree.dump()), new TextDecoder().decode(files.get('tree.json')));
    const { project } = bundleOf(day);
    const { commit } = postedOf(day);
    const signed = digest(domainOf(project.chain_id, project.distributor), 'RewardCommit', commit);
    signers.add(await signerOf(signed, signedCommit(day).signature));
  }
  assert.equal(signers.size, 1, 'one reward signer');
});

test('an altered copy makes no day look wrong, and the place is named', async () => {
  for (const name of [...TABLES, 'bundle.json']) {
    const good = filesOf(SECOND).get(name) as Uint8Array;
    for (let at = 0; at < good.length; at += name === 'uptime.csv' || name === 'bundle.json' ? 97 : 7) {
      const altered = good.slice();
      altered[at] = altered[at] === 0x37 ? 0x38 : 0x37;
      const outcome = await verify(SECOND, filesOf(SECOND).set(name, altered));
      const needed = name === 'uptime.csv' || name === 'bundle.json';
      assert.equal(outcome.report.verdict, needed ? 'cannot_tell' : 'holds', `byte ${at} of ${name}`);
      // What others determine is computed, so it is not even asked for.
      if (!needed) continue;
      assert.equal(outcome.passedOver[0]?.place, 'a mirror');
      assert.match(outcome.doubts[0]?.problem ?? '', /as it was committed.*a mirror.*was committed/);
      // Another place that has the committed bytes settles it.
      const both = new Places([placeOf(SECOND, filesOf(SECOND).set(name, altered)), placeOf(SECOND, filesOf(SECOND))]);
      const facts = factsOf(postedOf(SECOND), bundleOf(SECOND), filesOf(SECOND));
      const settled = await verifyDay(facts, both, known(before(SECOND)));
      assert.equal(settled.report.verdict, 'holds');
      assert.equal(settled.passedOver.length, 1);
    }
  }
});

test('a careless copy is named and serves; a cut one cannot tell', async () => {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const encode = (one: string) => new TextEncoder().encode(one);
  const crlf = (bytes: Uint8Array) => encode(text(bytes).replaceAll('\n', '\r\n'));
  const mark = (bytes: Uint8Array) => encode(`\ufeff${text(bytes)}`);
  const unfinished = (bytes: Uint8Array) => bytes.slice(0, -1);
  const twice = (bytes: Uint8Array) => encode(`${text(bytes)}${text(bytes).split('\n').at(-2)}\n`);
  const file = 'uptime.csv';
  const good = filesOf(SECOND).get(file) as Uint8Array;
  for (const [altered, words] of [
    [crlf(good), /CRLF/], [mark(good), /byte order mark/], [unfinished(good), /last line feed/], [mark(crlf(good)), /mark/],
  ] as const) {
    const outcome = await verify(SECOND, filesOf(SECOND).set(file, altered));
    assert.equal(outcome.report.verdict, 'holds');
    assert.match(outcome.passedOver[0]?.problem ?? '', words);
  }
  for (const altered of [good.slice(0, 700), twice(good), new Uint8Array(), encode('<html>not found</html>')]) {
    const outcome = await verify(SECOND, filesOf(SECOND).set(file, altered));
    assert.equal(outcome.report.verdict, 'cannot_tell');
  }
});

test('what nobody gives cannot be told, or is computed', async () => {
  for (const name of filesOf(SECOND).keys()) {
    const files = filesOf(SECOND);
    files.delete(name);
    const outcome = await verify(SECOND, files);
    const needed = name === 'uptime.csv' || name === 'bundle.json';
    assert.equal(outcome.report.verdict, needed ? 'cannot_tell' : 'holds', name);
    if (needed) assert.equal(outcome.doubts[0]?.file, name);
  }
});

/** Posts the day with a changed bundle, as an owner can who signs what he likes. */
async function committed(change: (text: string) => string, files = filesOf(SECOND), day = SECOND) {
  const text = change(new TextDecoder().decode(files.get('bundle.json')));
  files.set('bundle.json', new TextEncoder().encode(text));
  const honest = postedOf(day);
  const commit = { ...honest.commit, dataHash: await keccak256(files.get('bundle.json') as Uint8Array) };
  return { files, posted: { ...honest, commit, commitHash: structHash('RewardCommit', commit) } };
}

/** Every value of the bundle, as a JSON pointer's parts. */
function* leaves(value: unknown, at: string[] = []): Generator<string[]> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* leaves(inner, [...at, key]);
  } else {
    yield at;
  }
}

for (const day of [SECOND, DAY_2]) test(`each altered field of a committed bundle is found: ${bundleOf(day).format}`, async () => {
  const honest = JSON.parse(new TextDecoder().decode(filesOf(day).get('bundle.json'))) as Record<string, unknown>;
  const fields = [...leaves(honest)];
  assert.ok(fields.length > 35, `${fields.length}`);
  for (const path of fields) {
    const value = structuredClone(honest);
    let holder = value;
    for (const key of path.slice(0, -1)) holder = holder[key] as Record<string, unknown>;
    const last = path.at(-1) as string;
    const given = holder[last];
    const pointer = `/${path.join('/')}`;
    // A minimum that no license misses would change nothing: the terms are the owner's to choose.
    if (typeof given === 'number') holder[last] = given + 1_000_000;
    else if (/^\d+$/.test(given as string)) holder[last] = `${BigInt(given as string) + 1n}`;
    else if ((given as string).startsWith('0x')) {
      // The byte before the last, since the last one of a signature is its form.
      const text = given as string;
      holder[last] = `${text.slice(0, -3)}${text.at(-3) === '1' ? '2' : '1'}${text.slice(-2)}`;
    } else if (pointer === '/terms/beneficiary') holder[last] = 'holder';
    else holder[last] = `${given as string}x`;
    const { files, posted } = await committed(() => canonicalJson(value), filesOf(day), day);
    const outcome = await verify(day, files, () => ({}), posted);
    // An unknown format proves nothing, nor does a hash whose file nobody has and nothing else determines.
    const unknown = pointer === '/format' || (day === DAY_2 && pointer === '/files/points.csv');
    const expected = unknown ? 'cannot_tell' : 'does_not_hold';
    if (pointer === '/files/uptime.csv') {
      // The file of that hash is nobody's, and the closed day's word is for another.
      assert.match(outcome.findings.map((one) => one.problem).join(), /another uptime.csv/);
    }
    assert.equal(outcome.report.verdict, expected, `${pointer}: ${JSON.stringify(outcome.findings)}`);
    if (expected === 'does_not_hold') assert.ok(outcome.findings[0]?.file !== undefined, pointer);
  }
});

test('each altered column of a committed table is found in its row', async () => {
  for (const name of TABLES) {
    const text = new TextDecoder().decode(filesOf(SECOND).get(name));
    const lines = text.split('\n');
    const columns = (lines[2] as string).split(',');
    for (let column = 0; column < columns.length; column += 1) {
      const other = [...columns];
      const given = other[column] as string;
      other[column] = given.startsWith('0x')
        ? `${given.slice(0, -1)}${given.endsWith('1') ? '2' : '1'}`
        : `${BigInt(given) + (name === 'uptime.csv' && column === 4 ? -1n : 1n)}`;
      const altered = new TextEncoder().encode([...lines.slice(0, 2), other.join(','), ...lines.slice(3)].join('\n'));
      const files = filesOf(SECOND).set(name, altered);
      const [was, is] = [await keccak256(filesOf(SECOND).get(name) as Uint8Array), await keccak256(altered)];
      const { posted } = await committed((json) => json.replaceAll(was, is), files);
      const outcome = await verify(SECOND, files, () => ({}), posted);
      assert.equal(outcome.report.verdict, 'does_not_hold', `${name} column ${column}`);
      const words = outcome.findings.map((one) => `${one.difference?.file} ${one.difference?.line} ${one.problem}`).join();
      // What the backend signed for is another file; of the others the row is named.
      if (name === 'uptime.csv') assert.match(words, /not in the signed uptime hash/);
      else assert.match(words, new RegExp(`${name} [34] `), words);
    }
  }
});

test("the chain's facts decide, and what is unknown does not", async () => {
  const files = filesOf(SECOND);
  const wrong: [string, (facts: DayFacts) => Partial<DayFacts>][] = [
    ['closed day', () => ({ receiptKey: async () => known([]) })],
    ['closed day', () => ({ receiptKey: async () => known([{ from: 0n, until: 5n }, { from: 1n << 62n, until: 1n << 63n }]) })],
    ['snapshot', () => ({ snapshot: async () => known({ block_number: 6n, block_hash: `0x${'1'.repeat(64)}`, block_secs: 5n }) })],
    ['quota', () => ({ quotas: async () => known([7n]) })],
    ['collections', () => ({ listed: async () => known(false) })],
    ['holders', () => ({ owned: () => ({ holder: `0x${'1'.repeat(40)}`, renter: `0x${'0'.repeat(40)}` }) })],
    ['commit', (facts) => ({ project: { ...facts.project, name: 'other' } })],
  ];
  for (const [check, change] of wrong) {
    const outcome = await verify(SECOND, files, change);
    assert.equal(outcome.report.verdict, 'does_not_hold', check);
    assert.ok(outcome.findings.some((finding) => finding.check === check), JSON.stringify(outcome.findings));
    assert.equal(outcome.report.checks.find((one) => one.check === check)?.verdict, 'does_not_hold');
  }
  const not = async () => unknown<never>('the RPC is silent');
  for (const fact of ['receiptKey', 'postedSecs', 'snapshot', 'quotas', 'listed'] as const) {
    const outcome = await verify(SECOND, files, () => ({ [fact]: not }));
    assert.equal(outcome.report.verdict, 'cannot_tell', fact);
    assert.match(outcome.doubts[0]?.problem ?? '', /the RPC is silent/);
  }
  const outcome = await verify(SECOND, files, (facts) => ({
    owned: () => ({ holder: `0x${'1'.repeat(40)}`, renter: `0x${'0'.repeat(40)}` }),
    doubtful: async (tokens) => {
      assert.equal(tokens.length, 3);
      const all = await facts.doubtful(tokens);
      return new Map([...all, ...tokens.map((one) => [`${one.collection}/${one.tokenId}`, 'logs are missing'] as const)]);
    },
  }));
  assert.equal(outcome.report.verdict, 'cannot_tell');
  const unsure = await verifyDay(
    factsOf(postedOf(SECOND), bundleOf(SECOND), files), places(SECOND, files), unknown('the day before is lost'),
  );
  assert.equal(unsure.report.verdict, 'cannot_tell');
  assert.deepEqual(unsure.after, before(DAYS[2] as string), 'by what was committed');
});

test('a place that is down is asked once, and one without end is left', async () => {
  let asked = 0;
  const silent: Place = {
    name: 'silent',
    open() {
      asked += 1;
      return Promise.reject(new Error('no answer'));
    },
  };
  const endless: Place = {
    name: 'endless',
    async open() {
      return (function* () {
        for (;;) yield new Uint8Array(65_536);
      })();
    },
  };
  const all = new Places([silent, endless, placeOf(SECOND, filesOf(SECOND))], { mostBytes: 1_000_000 });
  const outcome = await verifyDay(factsOf(postedOf(SECOND), bundleOf(SECOND), filesOf(SECOND)), all, known(before(SECOND)));
  assert.equal(outcome.report.verdict, 'holds');
  assert.equal(asked, 1);
  assert.match(outcome.passedOver.find((one) => one.place === 'endless')?.problem ?? '', /more than 1000000 bytes/);
  const hash: Hash = outcome.report.commitHash;
  assert.equal(hash, postedOf(SECOND).commitHash);
});
