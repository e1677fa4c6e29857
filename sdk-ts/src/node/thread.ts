/** A worker thread, or the port to its parent, as a port of audits. */

import type { MessagePort, Worker } from 'node:worker_threads';

import type { Port } from '../worker/port.js';

export function threadPort(thread: Worker | MessagePort): Port {
  return {
    postMessage: (message) => thread.postMessage(message),
    listen(take, failed) {
      const error = (problem: Error) => failed?.(problem);
      thread.on('message', take);
      thread.on('error', error);
      return () => {
        thread.off('message', take);
        thread.off('error', error);
      };
    },
  };
}
