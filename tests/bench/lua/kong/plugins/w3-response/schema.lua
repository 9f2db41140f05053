return {
  name = "w3-response",
  fields = {
    { config = { type = "record", fields = { { gateway = { type = "string", required = true } } } } },
  },
}
