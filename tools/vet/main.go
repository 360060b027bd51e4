// Command vet is go vet for a system that the machine is not: it reads the packages and what they import as source, where go vet would first compile all of it for that system.
//
//	GOOS=windows vet ./...
package main

import (
	"golang.org/x/tools/go/analysis/multichecker"
	"golang.org/x/tools/go/analysis/suite/vet"
)

func main() { multichecker.Main(vet.Suite...) }
