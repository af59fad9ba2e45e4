// After the build: a .gz twin beside every text file over 1 kB, for the server to send as it is.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { outDir } from './out-dir.mjs';

const TEXT = new Set(['.css', '.html', '.js', '.json', '.mjs', '.svg', '.txt']);
const MIN_BYTES = 1024;

for (const name of readdirSync(outDir, { recursive: true })) {
  const path = join(outDir, name);
  if (!TEXT.has(extname(path)) || statSync(path).size <= MIN_BYTES) continue;
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: constants.Z_BEST_COMPRESSION }));
}
