return {
  name = "w3-log",
  fields = {
    { config = { type = "record", fields = {} } },
  },
}
