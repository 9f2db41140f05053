-- `kong.db.dao.key_sets`: the schema names it; what all DAOs have is enough.

return {}
