return {
  name = "file",
  fields = {
    { config = {
        type = "record",
        fields = {
          -- the directory that the secrets lie in
          { root = { type = "string", required = true } },
          { ttl = { type = "number" } },
          { neg_ttl = { type = "number" } },
          { resurrect_ttl = { type = "number" } },
        },
    } },
  },
}
