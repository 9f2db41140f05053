-- Configuration of the `env` vault.

local prefix = {
  type = "string",
  match = "^[%a_-][%a%d_-]*$",
  description = "Put before the name of the environment variable.",
}

return {
  name = "env",
  fields = {
    { config = { type = "record", fields = { { prefix = prefix } } } },
  },
}
