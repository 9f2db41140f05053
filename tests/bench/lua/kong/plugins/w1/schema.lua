return {
  name = "w1",
  fields = {
    { config = { type = "record", fields = { { routes = { type = "integer" } } } } },
  },
}
