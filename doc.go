// Package ply assembles HTTP clients from composable layers of one shape, func(Handler) Handler.
package ply
