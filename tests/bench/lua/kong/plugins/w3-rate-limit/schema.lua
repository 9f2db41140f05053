return {
  name = "w3-rate-limit",
  fields = {
    { config = { type = "record", fields = {
      { limit = { type = "number", required = true } },
      { window = { type = "number", required = true } },
    } } },
  },
}
