/** What only Node can do: folders and worker threads. */

export { daysIn, folderPlace } from './folder.js';
export { threadPort } from './thread.js';
