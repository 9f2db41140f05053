--- Modules of lua-resty-openssl whose work is not there: each function says so.

local name = ...

return setmetatable({
  istype = function()
    return false
  end,
}, {
  __index = function(_, k)
    return function()
      error(("not supported: %s.%s"):format(name, k), 2)
    end
  end,
})
