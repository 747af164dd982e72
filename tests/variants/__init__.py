"""How each public function of the library is called with tensors, a file a package."""
