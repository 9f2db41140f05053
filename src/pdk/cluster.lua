-- kong.cluster

local op = require("moongate.ops")["kong.cluster"]

local cluster = {}

-- Without a database the id lives as long as the process.
function cluster.get_id()
  return (op.get_id())
end

return {
  new = function()
    return cluster
  end,
}
