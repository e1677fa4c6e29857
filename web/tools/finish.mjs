// Ends the build: compresses every file beside itself, and refuses a page that weighs more than its budget.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const files = readdirSync(dist, { recursive: true }).filter((file) => statSync(join(dist, file)).isFile());
for (const file of files) {
  if (!/\.(?:js|css|html|svg|json)$/.test(file) || file.startsWith('.vite')) continue;
  const bytes = readFileSync(join(dist, file));
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  if (brotli.length < bytes.length) writeFileSync(join(dist, `${file}.br`), brotli);
  const gzip = gzipSync(bytes, { level: 9 });
  if (gzip.length < bytes.length) writeFileSync(join(dist, `${file}.gz`), gzip);
}

// What a page loads: the entry, the page's own chunk, and what these import at once.
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));
function scripts(key, found = new Set()) {
  if (found.has(manifest[key].file)) return found;
  found.add(manifest[key].file);
  for (const other of manifest[key].imports ?? []) scripts(other, found);
  return found;
}
const weight = (set) => [...set].reduce((sum, file) => sum + gzipSync(readFileSync(join(dist, file)), { level: 9 }).length, 0);

const BUDGET = 100_000;
const entry = scripts('index.html');
const pages = Object.keys(manifest).filter((key) => key.startsWith('src/pages/')).sort();
let over = false;
for (const [name, set] of [['first page', entry], ...pages.map((key) => [key.slice(10, -4), new Set([...entry, ...scripts(key)])])]) {
  const bytes = weight(set);
  over ||= bytes > BUDGET;
  console.log(`web.script_gzip_bytes{page="${name}"} ${bytes}${bytes > BUDGET ? ` more than ${BUDGET}` : ''}`);
}
rmSync(join(dist, '.vite'), { recursive: true });
if (over) {
  console.error('web: the pages above weigh more script than their budget: load what they need later');
  process.exit(1);
}
