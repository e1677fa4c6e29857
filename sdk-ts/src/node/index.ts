/** What only Node can do: folders. */

export { daysIn, folderPlace } from './folder.js';
