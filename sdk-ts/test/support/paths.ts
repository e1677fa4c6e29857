import { fileURLToPath } from 'node:url';

/** The package's folder; compiled tests are in build/test/support. */
export const sdk = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
export const repository = (path: string) => sdk(`../${path}`);
