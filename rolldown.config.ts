/**
 * Builds the published program: all of MAOS and its libraries in a few files (docs/adr/0004-bundle.md says why). Every file
 * lies in `dist/app/`, because some are found from others by name: the core thread and the scripted agent.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';

/** One character beyond Latin-1 makes the engine keep a whole file with two bytes a character. */
const ascii: Plugin = {
  name: 'ascii',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      chunk.code = chunk.code.replaceAll(
        /[^\0-\x7f]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
    }
  },
};

/** An import of one of Node's modules evaluates every one of its exports, and some of them load much more (src/kernel/http.ts). */
const builtins: Plugin = {
  name: 'builtins',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      chunk.code = chunk.code.replaceAll(
        /^import (\{[^}]*\}) from "(node:[\w/]+)";$/gm,
        (_all, names: string, name: string) =>
          `const ${names.replaceAll(' as ', ': ')} = process.getBuiltinModule("${name}");`,
      );
    }
  },
};

/** The licences of the libraries that are inside. */
const licences: Plugin = {
  name: 'licences',
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
    const names = modules.flatMap((id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []);
    const texts = [...new Set(names)].toSorted().map((name) => {
      const folder = join('node_modules', name);
      const file = ['LICENSE', 'LICENSE.md', 'license']
        .map((one) => join(folder, one))
        .find((path) => existsSync(path));
      if (file === undefined) throw new Error(`${name} is inside the bundle and has no licence file.`);
      return `${name}\n\n${readFileSync(file, 'utf8').trim()}\n`;
    });
    this.emitFile({
      type: 'asset',
      fileName: 'THIRD-PARTY-LICENCES.txt',
      source: texts.join(`\n${'-'.repeat(80)}\n\n`),
    });
  },
};

export default defineConfig({
  input: {
    main: 'src/app/main.ts',
    core: 'src/app/core.ts',
    index: 'src/app/index.ts',
    client: 'src/gateway/client.ts',
    agent: 'src/runtimes/fake/agent.ts',
  },
  platform: 'node',
  // It is loaded with the first rule that has a condition, and finds its WebAssembly beside itself.
  external: ['@cedar-policy/cedar-wasm/nodejs'],
  plugins: [ascii, builtins, licences],
  output: {
    dir: 'dist/app',
    format: 'esm',
    // Line breaks stay: a stack trace then shows a line, not the file.
    minify: {
      compress: true,
      mangle: { keepNames: { function: false, class: true } },
      codegen: { removeWhitespace: false },
    },
    // Node finds a file anew for each import of it. What nearly all files import lies in two, or finding them is what V8 optimises first: that
    // alone costs 5 MB. What needs zod is not among the kernel, which the shell loads for every command.
    codeSplitting: {
      groups: [
        { name: 'kernel', test: /src\/kernel\/(?!path)/ },
        {
          name: 'contracts',
          test: /src\/(?:.*contract|agents\/usage|agents\/configuration|workflows\/step|workflows\/planned|workspaces\/merge)\.ts$/,
        },
      ],
    },
    comments: false,
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
  },
});
