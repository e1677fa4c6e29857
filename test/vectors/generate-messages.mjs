// The golden vectors of every EIP-712 message, made by viem alone: type string, struct hash,
// digest, signer and signature. Run by `test/vectors/generate`; equal input gives equal bytes,
// since every key and value is derived from a fixed text and viem's signatures are RFC 6979.
//
// usage: node generate-messages.mjs OUTPUT

import { writeFileSync } from 'node:fs';
import {
  encodeAbiParameters, getAddress, hashStruct, hashTypedData, keccak256, parseSignature, toHex,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

const types = {
  NodeAuthorization: ['address operator', 'address nodeKey', 'uint64 notAfter', 'uint256 nonce'],
  NodeRevocation: ['address operator', 'address nodeKey', 'uint256 nonce'],
  LeaseRequest: ['address nodeKey', 'bytes32 license', 'uint64 nonce'],
  LeaseStatus: ['bytes32 license', 'uint64 fence', 'uint8 status', 'uint64 release'],
  Heartbeat: [
    'address nodeKey', 'uint64 minute', 'uint64 seq', 'bytes32 challenge', 'LeaseStatus[] leases',
  ],
  Accepted: [
    'address nodeKey', 'uint64 seq', 'bytes32 heartbeatHash', 'uint64 credited',
    'bytes32 nextChallenge',
  ],
  ReceiptBatch: ['uint64 minute', 'uint64 serverTimeMillis', 'bytes32 root'],
  DayClosed: ['uint64 day', 'bytes32 uptimeHash', 'bytes32 evidenceRoot'],
  PointsUpload: ['uint64 epoch', 'bytes32 pointsHash', 'bytes32 termsHash'],
  RewardCommit: [
    'uint64 epoch', 'uint32 revision', 'bytes32 previous', 'bytes32 root', 'uint256 total',
    'bytes32 dataHash',
  ],
  Claim: [
    'address account', 'bytes32 root', 'uint256 cumulative', 'address recipient',
    'address relayer', 'uint256 relayerFee', 'uint64 deadline',
  ],
  NotifyRequest: [
    'address nodeKey', 'uint8 action', 'string url', 'uint64 target', 'uint64 nonce',
  ],
  WorkloadTicket: [
    'address project', 'bytes32 license', 'uint64 fence', 'bytes32 audience', 'uint64 notAfter',
  ],
};
const parsed = Object.fromEntries(Object.entries(types).map(([name, fields]) => [
  name, fields.map((field) => ({ type: field.split(' ')[0], name: field.split(' ')[1] })),
]));
// The messages that the reward contract checks, or that name its terms.
const distributorMessages = new Set(['RewardCommit', 'Claim', 'PointsUpload']);

const derived = (text) => keccak256(toHex(`nodesys vector ${text}`));
const address = (text) => getAddress(`0x${derived(text).slice(-40)}`).toLowerCase();
const registry = address('registry');
const distributor = address('distributor');
const node = privateKeyToAccount(derived(1)).address.toLowerCase();

const lease = (n, fence, status, release) =>
  ({ license: derived(`license ${n}`), fence: `${fence}`, status: `${status}`, release: `${release}` });
const heartbeat = (leases) => ({
  nodeKey: node, minute: '29450880', seq: '4242', challenge: derived('challenge'), leases,
});
const MAX_UINT64 = `${2n ** 64n - 1n}`;
const ZERO = `0x${'0'.repeat(64)}`;

const messages = [
  ['node authorization', 'NodeAuthorization', {
    operator: address('operator'), nodeKey: node, notAfter: '1774828800', nonce: '1',
  }],
  ['node authorization, largest numbers', 'NodeAuthorization', {
    operator: address('operator'), nodeKey: node, notAfter: MAX_UINT64, nonce: `${2n ** 256n - 1n}`,
  }],
  ['node revocation', 'NodeRevocation', { operator: address('operator'), nodeKey: node, nonce: '2' }],
  ['lease request', 'LeaseRequest', { nodeKey: node, license: derived('license 0'), nonce: '7' }],
  ['heartbeat, no lease', 'Heartbeat', heartbeat([])],
  ['heartbeat, one lease', 'Heartbeat', heartbeat([lease(0, 1, 0, 3)])],
  ['heartbeat, three leases', 'Heartbeat',
    heartbeat([lease(0, 1, 0, 3), lease(1, 900, 3, 12), lease(2, 2n ** 63n - 1n, 4, 0)])],
  ['accepted', 'Accepted', {
    nodeKey: node, seq: '4242', heartbeatHash: derived('heartbeat'), credited: '5',
    nextChallenge: derived('next challenge'),
  }],
  ['receipt batch', 'ReceiptBatch', {
    minute: '29450880', serverTimeMillis: '1767052812345', root: derived('receipt root'),
  }],
  ['day closed', 'DayClosed', {
    day: '20452', uptimeHash: derived('uptime'), evidenceRoot: derived('evidence'),
  }],
  ['points upload', 'PointsUpload', {
    epoch: '20452', pointsHash: derived('points'), termsHash: derived('terms'),
  }],
  ['first reward commit', 'RewardCommit', {
    epoch: '20452', revision: '0', previous: ZERO, root: derived('root'),
    total: `${1000n * 10n ** 18n}`, dataHash: derived('bundle'),
  }],
  ['reward commit', 'RewardCommit', {
    epoch: '20453', revision: '3', previous: derived('previous commit'), root: derived('root 2'),
    total: `${2n ** 128n - 1n}`, dataHash: derived('bundle 2'),
  }],
  ['claim', 'Claim', {
    account: address('account'), root: derived('root'), cumulative: '333333333333333333333',
    recipient: address('recipient'), relayer: address('relayer'), relayerFee: '1000000000000000',
    deadline: '1767139200',
  }],
  ['workload ticket', 'WorkloadTicket', {
    project: address('project'), license: derived('license 0'), fence: '1',
    audience: derived('audience'), notAfter: '1767053400',
  }],
  ['notify request, a new target', 'NotifyRequest', {
    nodeKey: node, action: '0', url: 'https://hooks.example.org/tür?a=1', target: '0',
    nonce: '1767052812345',
  }],
  ['notify request, a target removed', 'NotifyRequest', {
    nodeKey: node, action: '2', url: '', target: MAX_UINT64, nonce: '1767052812346',
  }],
];

// EIP-712 encodeType: the type itself, then those it refers to (one level is all we have).
const encodeType = (name) => {
  const nested = parsed[name].map(({ type }) => type.replace('[]', '')).filter((type) => types[type]);
  return [name, ...nested.sort()].map((type) => `${type}(${types[type].join(',')})`).join('');
};
const typesOf = (name) =>
  (name === 'Heartbeat' ? { Heartbeat: parsed.Heartbeat, LeaseStatus: parsed.LeaseStatus }
    : { [name]: parsed[name] });

const messageVectors = [];
for (const [index, [name, primaryType, message]] of messages.entries()) {
  const domain = {
    name: 'NodeSystem', version: '1', chainId: 31337,
    verifyingContract: distributorMessages.has(primaryType) ? distributor : registry,
  };
  const privateKey = derived(index + 1);
  const account = privateKeyToAccount(privateKey);
  const typed = { domain, types: typesOf(primaryType), primaryType, message };
  const signature = await account.signTypedData(typed);
  const { r, s, yParity } = parseSignature(signature);
  if (BigInt(s) > 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n) {
    throw new Error(`${name}: viem made a high-S signature`);
  }
  if (signature !== `${r}${s.slice(2)}${toHex(27 + yParity).slice(2)}`) {
    throw new Error(`${name}: not r, s, v with v 27 or 28`);
  }
  messageVectors.push({
    name, primaryType, typeString: encodeType(primaryType), domain: { ...domain, chainId: '31337' },
    message, structHash: hashStruct({ data: message, types: typesOf(primaryType), primaryType }),
    digest: hashTypedData(typed), privateKey, signer: account.address.toLowerCase(), signature,
  });
}

const licenses = [
  ['31337', address('collection'), '1'],
  ['1', address('collection'), '0'],
  ['42161', address('collection 2'), `${2n ** 256n - 1n}`],
].map(([chainId, collection, tokenId]) => ({
  chainId, collection, tokenId,
  license: keccak256(encodeAbiParameters(
    [{ type: 'uint256' }, { type: 'address' }, { type: 'uint256' }],
    [BigInt(chainId), collection, BigInt(tokenId)],
  )),
}));

const about = 'Made by viem alone: see README.md. Numbers are decimal strings.';
writeFileSync(process.argv[2], `${JSON.stringify({ about, messages: messageVectors, licenses }, null, 2)}\n`);
