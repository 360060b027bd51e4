// Package site tests the documentation site, which build.sh makes of docs/: each link and anchor, and what a reader does with it in a real Chromium.
// It is a module of its own, so that users of ply never download the browser's driver.
package site
