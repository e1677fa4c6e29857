import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// In development the API is a backend that runs elsewhere: NODESYS_BACKEND=http://127.0.0.1:8080 npm run dev
const backend = process.env['NODESYS_BACKEND'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react()],
  // The SDK's sources are built with the page, with one copy of what both use.
  resolve: { dedupe: ['viem', 'hash-wasm'] },
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    // Nothing is inlined: the page's policy takes styles, scripts and pictures from files only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
  },
  // By this name the backend gives it the policy under which it may compile its Keccak.
  worker: { format: 'es', rolldownOptions: { output: { entryFileNames: 'assets/worker-[hash].js' } } },
  server: { proxy: { '/v1': backend, '/readyz': backend } },
});
