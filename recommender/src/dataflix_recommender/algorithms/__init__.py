"""The maths: fold-in, top-k selection and pruning. It knows arrays, and neither users nor items."""
