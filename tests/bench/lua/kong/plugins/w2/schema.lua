return {
  name = "w2",
  fields = {
    { config = { type = "record", fields = { { routes = { type = "integer", required = true } } } } },
  },
}
