/** The entry of a worker of Node, which reads folders as well. */

import { parentPort } from 'node:worker_threads';

import { openHttpPlace, serveAudits } from '../worker/serve.js';
import { folderPlace } from './folder.js';
import { threadPort } from './thread.js';

if (parentPort === null) throw new Error('nodesys-sdk/node-worker is the entry of a worker');
serveAudits(threadPort(parentPort), (place) =>
  place.kind === 'folder' ? folderPlace(place.at) : openHttpPlace(place),
);
