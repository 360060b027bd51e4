// Package ecosystem tests ply together with the libraries that people use beside it, over real sockets.
//
// Each test asserts what a user of that library relies on. The module is in no one's way: nothing imports it, and its
// requirements are in no other go.mod. docs/ecosystem.md shows the code that the tests run.
package ecosystem
