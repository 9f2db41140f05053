-- `kong.db.schema.init`: another name of `kong.db.schema`.

return require "kong.db.schema"
