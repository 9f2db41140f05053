return {
  name = "tls-identity",
  fields = {
    { config = { type = "record", fields = {
        -- where ID.crt and ID.key lie
        { dir = { type = "string", required = true } },
    } } },
  },
}
