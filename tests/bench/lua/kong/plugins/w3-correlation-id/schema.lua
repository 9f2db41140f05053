return {
  name = "w3-correlation-id",
  fields = {
    { config = { type = "record", fields = { { header = { type = "string", required = true } } } } },
  },
}
