/** A folder of day bundles, as the master and the command line keep them. */

import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Place } from '../day/places.js';
import { type Address, epochOf } from '../parse.js';

/** `<root>/<project>/<YYYY-MM-DD>/<file>`, read part by part. */
export function folderPlace(root: string): Place {
  return {
    name: root,
    async open(project, day, file) {
      const path = join(root, project, day, file);
      try {
        if (!(await stat(path)).isFile()) return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
      return createReadStream(path);
    },
  };
}

/** The days of a project in a folder, in order. */
export async function daysIn(root: string, project: Address): Promise<string[]> {
  try {
    const names = await readdir(join(root, project.toLowerCase()));
    return names.filter((name) => epochOf(name) !== undefined).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
