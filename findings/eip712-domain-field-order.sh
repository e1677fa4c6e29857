#!/usr/bin/env bash
# viem 2.57.20, ox 1.8.3, @metamask/eth-sig-util 9.0.0, web3-eth-abi 4.4.1, micro-eth-signer 0.20.1, ethers 6.17.0,
# eth-account 0.14.0: one EIP-712 document, two digests.
#
# Seen on 2026-11-30. The document lists its domain's fields in `types.EIP712Domain`, as eth_signTypedData_v4 wants
# it, in another order than EIP-712's own list of them. Some libraries hash the domain as it is listed, others take
# the fields that are there in the standard order and never look at the list. Each accepts the document without a
# word. So a wallet built on one kind signs what a program built on the other cannot recover, and a test within one
# library sees nothing of it. In the standard order all seven agree. A contract in Solidity may choose either order:
# who writes typed data for wallets keeps to the standard one.
#
# Output seen:
#   the standard order: all 0x34e1e1b3
#   another order, as listed (0x7dff0a1b): eth-sig-util, micro-eth-signer, ox, viem, web3-eth-abi
#   another order, the list ignored (0x34e1e1b3): eth-account, ethers
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit viem@2.57.20 ox@1.8.3 @metamask/eth-sig-util@9.0.0 web3-eth-abi@4.4.1 \
  micro-eth-signer@0.20.1 ethers@6.17.0 >/dev/null
python3 -m venv venv
venv/bin/pip install --quiet eth-account==0.14.0
cat >digests.mjs <<'JS'
import { SignTypedDataVersion, TypedDataUtils } from '@metamask/eth-sig-util';
import { TypedDataEncoder } from 'ethers';
import { signTyped } from 'micro-eth-signer';
import { TypedData } from 'ox';
import { hashTypedData, keccak256, recoverAddress } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { getEncodedEip712Data } from 'web3-eth-abi';

const types = { name: 'string', version: 'string', chainId: 'uint256', verifyingContract: 'address' };
const document = (order) => ({
  types: {
    EIP712Domain: order.map((name) => ({ name, type: types[name] })),
    Note: [{ name: 'text', type: 'string' }],
  },
  primaryType: 'Note',
  domain: { name: 'App', version: '1', chainId: 1, verifyingContract: `0x${'aa'.repeat(20)}` },
  message: { text: 'hello' },
});
const standard = document(Object.keys(types));
const other = document(Object.keys(types).reverse());
const key = `0x${'07'.repeat(32)}`;

// It gives signatures only: the digest is the one from which its signer is recovered.
async function signed(typed) {
  const signature = signTyped(typed, key);
  for (const hash of [hashTypedData(standard), hashTypedData(other)]) {
    if ((await recoverAddress({ hash, signature })) === privateKeyToAddress(key)) return hash;
  }
  return 'neither';
}
function ethers({ types: { EIP712Domain, ...rest }, domain, message }) {
  return TypedDataEncoder.hash(domain, rest, message);
}
const libraries = {
  'eth-sig-util': (typed) => `0x${Buffer.from(TypedDataUtils.eip712Hash(typed, SignTypedDataVersion.V4)).toString('hex')}`,
  ethers,
  'micro-eth-signer': signed,
  ox: TypedData.getSignPayload,
  viem: hashTypedData,
  'web3-eth-abi': (typed) => keccak256(getEncodedEip712Data(typed)),
};
for (const [name, digest] of Object.entries(libraries)) {
  console.log(name, (await digest(standard)).slice(0, 10), (await digest(other)).slice(0, 10));
}
JS
cat >digests.py <<'PY'
from eth_account.messages import _hash_eip191_message, encode_typed_data

TYPES = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}


def digest(order):
    document = {
        "types": {
            "EIP712Domain": [{"name": name, "type": TYPES[name]} for name in order],
            "Note": [{"name": "text", "type": "string"}],
        },
        "primaryType": "Note",
        "domain": {"name": "App", "version": "1", "chainId": 1, "verifyingContract": "0x" + "aa" * 20},
        "message": {"text": "hello"},
    }
    return "0x" + _hash_eip191_message(encode_typed_data(full_message=document)).hex()[:8]


print("eth-account", digest(list(TYPES)), digest(list(TYPES)[::-1]))
PY
{ node digests.mjs; venv/bin/python digests.py; } | sort >digests
of() { awk -v other="$1" '$3 == other { printf "%s%s", comma, $1; comma = ", " }' digests; }
{
  echo "the standard order: all $(awk '{ print $2 }' digests | sort -u | paste -sd' ')"
  echo "another order, as listed (0x7dff0a1b): $(of 0x7dff0a1b)"
  echo "another order, the list ignored (0x34e1e1b3): $(of 0x34e1e1b3)"
} | tee seen
diff - seen <<'SEEN'
the standard order: all 0x34e1e1b3
another order, as listed (0x7dff0a1b): eth-sig-util, micro-eth-signer, ox, viem, web3-eth-abi
another order, the list ignored (0x34e1e1b3): eth-account, ethers
SEEN
