-- A module that is also required as `<name>.init`.

local name = ...

return require((name:gsub("%.init$", "")))
