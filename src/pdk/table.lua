-- kong.table

local new_tab = require "table.new"
local clear_tab = require "table.clear"

local function merge(a, b)
  local merged = {}
  for _, from in ipairs { a or {}, b or {} } do
    for k, v in pairs(from) do
      merged[k] = v
    end
  end
  return merged
end

return {
  new = function()
    return {
      new = function(narr, nrec)
        return new_tab(narr or 0, nrec or 0)
      end,
      clear = clear_tab,
      merge = merge,
    }
  end,
}
