return {
  name = "w3-request",
  fields = {
    { config = { type = "record", fields = { { gateway = { type = "string", required = true } } } } },
  },
}
