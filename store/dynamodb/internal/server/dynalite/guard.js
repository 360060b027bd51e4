// dynalite throws the error of a request whose client has gone away, which would end it. DynamoDB has no such weakness.
process.on('uncaughtException', (err) => {
  if (err.code === 'ECONNRESET' || err.code === 'EPIPE') return
  console.error(err)
  process.exit(1)
})
