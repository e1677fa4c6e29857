// What `scripts/demo --serve` leaves running is where endpoints.json says, and answers.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";

const endpoints = JSON.parse(readFileSync(process.argv[2], "utf8"));
const keys = [
  "rpc", "chain_id", "backend", "database", "registry", "distributor", "token", "collections",
  "keystores",
];
for (const key of keys) assert.ok(endpoints[key], `endpoints.json has no ${key}`);

async function rpc(method, params) {
  const response = await fetch(endpoints.rpc, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return (await response.json()).result;
}

assert.equal(Number(await rpc("eth_chainId", [])), endpoints.chain_id);
const contracts = [endpoints.registry, endpoints.distributor, endpoints.token];
for (const address of [...contracts, ...Object.values(endpoints.collections)]) {
  assert.notEqual(await rpc("eth_getCode", [address, "latest"]), "0x", `no contract at ${address}`);
}
for (const path of ["/readyz", "/v1/projects", "/metrics"]) {
  assert.equal((await fetch(endpoints.backend + path)).status, 200, path);
}
for (const keystore of Object.values(endpoints.keystores)) assert.ok(existsSync(keystore), keystore);
console.log("endpoints answer");
