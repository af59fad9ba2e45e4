// Where the build goes: as in vite.config.ts.
import { fileURLToPath } from 'node:url';

export const outDir = fileURLToPath(new URL('../../server/waypost/web', import.meta.url));
export const dashboardDir = fileURLToPath(new URL('..', import.meta.url));
