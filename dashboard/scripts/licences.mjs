// After the build: the licence texts of all packages that end up in the page, as their licences ask.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboardDir, outDir } from './out-dir.mjs';

const LICENCE_FILE = /^(licen[cs]e|copying|notice)(\.|-|$)/i;
const modules = join(dashboardDir, 'node_modules');
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Every run-time package, by its folder: those we name and all that they need. */
function runtimePackages() {
  const { packages } = readJson(join(dashboardDir, 'package-lock.json'));
  return Object.entries(packages)
    .filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional)
    .map(([path]) => join(dashboardDir, path))
    .filter((folder) => folder.startsWith(modules) && existsSync(folder))
    .filter((folder) => !folder.includes(join('node_modules', '@types')));
}

function textOf(folder) {
  const { name, version, license } = readJson(join(folder, 'package.json'));
  const files = readdirSync(folder).filter((file) => LICENCE_FILE.test(file));
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  const body =
    texts.length > 0 ? texts.join('\n\n') : `(no licence file in the package; it states: ${license})`;
  return `${name} ${version}\nLicence: ${license}\n\n${body}\n`;
}

const rule = `\n${'-'.repeat(100)}\n\n`;
const texts = runtimePackages().sort().map(textOf);
writeFileSync(
  join(outDir, 'THIRD_PARTY_LICENSES.txt'),
  `The Waypost dashboard contains the following packages.\n${rule}${texts.join(rule)}`,
);
