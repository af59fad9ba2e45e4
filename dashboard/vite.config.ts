import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/**
 * Put src/theme/boot.js into the page as a classic, blocking, hashed script.
 *
 * A module script runs after the first paint, so a chosen theme would flash; an inline script is against the CSP.
 */
function themeBoot(): Plugin {
  const source = readFileSync(new URL('src/theme/boot.js', import.meta.url), 'utf8');
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 8);
  let serving = false;
  return {
    name: 'waypost-theme-boot',
    configResolved: (config) => {
      serving = config.command === 'serve';
    },
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: `assets/theme-${hash}.js`, source });
    },
    transformIndexHtml: () => [
      {
        tag: 'script',
        attrs: { src: serving ? '/src/theme/boot.js' : `./assets/theme-${hash}.js` },
        injectTo: 'head-prepend',
      },
    ],
  };
}

const server = process.env['WAYPOST_DEV_SERVER'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: './',
  plugins: [themeBoot()],
  build: {
    outDir: '../server/waypost/web',
    emptyOutDir: true,
    target: 'es2022',
    // Nothing is inlined as a data: URL, so that the CSP can stay at 'self' for fonts and scripts.
    assetsInlineLimit: 0,
    // The map's library is one chunk of about 1 MB, loaded after sign-in.
    chunkSizeWarningLimit: 1200,
    modulePreload: { polyfill: false },
  },
  worker: { format: 'es' },
  server: {
    proxy: { '/api': server, '/dev': server, '/socket.io': { target: server, ws: true } },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
  },
});
