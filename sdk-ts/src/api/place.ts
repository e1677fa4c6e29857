/** Places of day files that answer over HTTP. */

import type { Place } from '../day/places.js';
import { ApiProblem, BadAnswer, Http, type HttpOptions } from './http.js';

export interface HttpPlaceOptions extends HttpOptions {
  /**
   * `backend`: a backend or master, with the route `/v1/bundles`; `folder`: a static host that serves a folder of
   * bundles, `<project>/<day>/<file>`.
   */
  layout?: 'backend' | 'folder';
}

export function httpPlace(base: string, options: HttpPlaceOptions = {}): Place {
  const http = new Http(base, options);
  const before = options.layout === 'folder' ? [] : ['v1', 'bundles'];
  return {
    name: http.base,
    async open(project, day, file) {
      try {
        return await http.parts({ method: 'GET', path: [...before, project, day, file] });
      } catch (error) {
        // A plain file server has no problem documents.
        if ((error instanceof ApiProblem || error instanceof BadAnswer) && error.status === 404) return undefined;
        throw error;
      }
    },
  };
}
