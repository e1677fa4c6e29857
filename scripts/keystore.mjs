// Writes a key as a keystore (Web3 Secret Storage, version 3) to the output, for development chains:
//   node scripts/keystore.mjs 0xKEY PASSWORD_FILE
// On any other chain let a wallet make it: `cast wallet import`, geth, MetaMask.
import { createCipheriv, randomBytes, randomUUID, scryptSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { concat, hexToBytes, keccak256, toHex } from "viem";
import { privateKeyToAddress } from "viem/accounts";

const [key, passwordFile] = process.argv.slice(2);
if (!/^0x[0-9a-f]{64}$/.test(key ?? "") || passwordFile === undefined) {
  console.error("usage: node scripts/keystore.mjs 0xKEY PASSWORD_FILE");
  process.exit(2);
}
const password = readFileSync(passwordFile, "utf8").split("\n")[0].normalize("NFKC");
// Weaker than a wallet's, since each command derives it anew.
const scrypt = { n: 4096, r: 8, p: 1 };
const salt = randomBytes(32);
const derived = scryptSync(password, salt, 32, { N: scrypt.n, r: scrypt.r, p: scrypt.p });
const iv = randomBytes(16);
const cipher = createCipheriv("aes-128-ctr", derived.subarray(0, 16), iv);
const text = Buffer.concat([cipher.update(hexToBytes(key)), cipher.final()]);
const hex = (bytes) => Buffer.from(bytes).toString("hex");
console.log(JSON.stringify({
  version: 3,
  id: randomUUID(),
  address: privateKeyToAddress(key).slice(2).toLowerCase(),
  crypto: {
    cipher: "aes-128-ctr",
    cipherparams: { iv: hex(iv) },
    ciphertext: hex(text),
    kdf: "scrypt",
    kdfparams: { dklen: 32, ...scrypt, salt: hex(salt) },
    mac: keccak256(concat([toHex(derived.subarray(16, 32)), toHex(text)])).slice(2),
  },
}));
