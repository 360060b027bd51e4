//go:build !race

package plyotel_test

const underRace = false
