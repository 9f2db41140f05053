return {
  name = "w3-key-auth",
  fields = {
    { config = { type = "record", fields = {} } },
  },
}
