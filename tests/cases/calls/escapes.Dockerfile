# a 	 tab <&>  
FROM scratch AS A
ENV <a>&"q" b	c\\

