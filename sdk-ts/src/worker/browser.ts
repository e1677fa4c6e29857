/** The entry of a browser's module worker: `new Worker(new URL('nodesys-sdk/worker', import.meta.url))`. */

import { openHttpPlace, serveAudits } from './serve.js';

serveAudits(
  {
    postMessage: (message) => globalThis.postMessage(message),
    listen(take) {
      const message = ({ data }: MessageEvent) => take(data);
      globalThis.addEventListener('message', message);
      return () => globalThis.removeEventListener('message', message);
    },
  },
  openHttpPlace,
);
