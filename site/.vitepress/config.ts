// The documentation site: the pages of docs/ as they are, with the index (docs/README.md) as home page and as navigation.
// build.sh sets PLY_ROOT, the repository.
import fs from 'node:fs'
import path from 'node:path'
import { defineConfig } from 'vitepress'
import { accessibleSearch } from './search'
import { addIndentedCode, addMermaid, addRepositoryLinks, navigation, slugify } from './markdown'

const root = process.env.PLY_ROOT
const docs = path.join(root, 'docs')
const repository = 'https://github.com/plyhttp/ply'
const building = process.argv.includes('build')

export default defineConfig({
  title: 'ply',
  description: 'HTTP clients in Go, assembled from layers around an RFC 9111 cache.',
  lang: 'en',
  srcDir: 'docs', // build.sh has linked it here, beside node_modules
  base: process.env.PLY_SITE_BASE || '/',
  rewrites: { 'README.md': 'index.md' },
  head: [
    ['link', { rel: 'icon', href: 'data:,' }],
    // A page asks no other server for anything. VitePress has inline scripts, such as the one that chooses dark before the first paint;
    // its development server needs a WebSocket besides.
    ...(building ? [['meta', {
      'http-equiv': 'Content-Security-Policy',
      content: "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    }] as [string, Record<string, string>]] : []),
  ],
  markdown: {
    anchor: { slugify },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config(md) {
      addRepositoryLinks(md, root, repository)
      addMermaid(md)
      addIndentedCode(md)
    },
  },
  themeConfig: {
    nav: [
      { text: 'Packages', link: 'https://pkg.go.dev/github.com/plyhttp/ply' },
      { text: 'Changes', link: `${repository}/blob/main/CHANGELOG.md` },
    ],
    sidebar: navigation(fs.readFileSync(path.join(docs, 'README.md'), 'utf8')),
    outline: { level: [2, 3] },
    search: { provider: 'local', options: { miniSearch: { searchOptions: { combineWith: 'AND', fuzzy: false } } } }, // a hit has all words
    socialLinks: [{ icon: 'github', link: repository, ariaLabel: 'the repository' }],
    editLink: { pattern: `${repository}/edit/main/docs/:path`, text: 'Edit this page' },
    externalLinkIcon: true,
  },
  vite: {
    plugins: [accessibleSearch()],
    build: { chunkSizeWarningLimit: 4000 }, // the search index and Mermaid are large, and loaded when they are needed
    resolve: {
      preserveSymlinks: true, // pages find packages from where they are linked
      alias: { mermaid: 'mermaid/dist/mermaid.esm.min.mjs' }, // bundled already: its sources would take longer than all pages
    },
  },
})
